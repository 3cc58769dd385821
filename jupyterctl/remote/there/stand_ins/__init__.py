"""As much of three libraries as the program there uses, of nothing but the standard library.

A machine that is reached over a network has some Python and need not have more, so these take the libraries' place
there. They know only what the modules that `there` packs ask of them.
"""
