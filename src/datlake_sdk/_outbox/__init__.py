"""What waits for delivery on this host: its files, its places, and what is known while a lake is away."""
