"""handconv and its peers side by side: ``make bench`` runs every row and prints one page."""
