"""Parts of the kind odata: what a service is made of, and how its two versions speak."""
