"""Reads source systems; knows its source and the kernel, nothing else of ours."""
