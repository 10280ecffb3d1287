"""One wrapper per program: start it, tell it what to do, read what it heard. None imports the product."""
