"""Joins ports and adapters: the only module that names a concrete adapter."""
