"""From counts and nuisances to intervals and contours. There is no physics here."""
