"""How well a model judges: cases with a known answer, played offline, and the table of what came of them."""
