"""Claims, cool-downs, budgets and the track record of one project."""
