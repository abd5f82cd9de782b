"""The durable order of transactions: codec, stores, checkpoint, backup."""
