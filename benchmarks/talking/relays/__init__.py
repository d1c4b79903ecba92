"""The floors: relays that pass frames on and look into none. Nothing of the product is in them."""
