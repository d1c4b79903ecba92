"""What responses use, what that costs, and whether another response may begin."""
