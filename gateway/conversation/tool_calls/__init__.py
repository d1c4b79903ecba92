"""Function calls of the model: read, checked, recorded, answered."""
