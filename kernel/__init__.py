"""The shared words: ids, money, spans, clock, errors, evidence."""
