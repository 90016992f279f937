"""Carries events: envelopes, topics, delivery; the payload's meaning is not its business."""
