"""What speaks with machines: each module the one door to its library, loaded when it is needed."""
