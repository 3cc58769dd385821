"""Ways to other machines over ssh."""
