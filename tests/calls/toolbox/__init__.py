"""What the tests of calls stand on."""
