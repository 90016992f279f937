"""What each process of a rehearsal would read anew: loaded once, they share it."""

from connectors.registry import all_connectors
from contracts.loader import all_contracts
from pipeline import rehearsal

SHARED = (rehearsal, all_contracts(), all_connectors())
