"""The floors of a durable call: programs with the least that its shape needs, and nothing of the product."""
