"""Does it fit, how long will it take, how hot does it get: asked before and while something runs."""
