"""The one likelihood: named parameters, samples with modifiers, statistics, its minimiser. There is no physics here."""
