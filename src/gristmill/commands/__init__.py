"""What each command does. A command gets the parsed arguments and a screen, and returns 0 or 3.

Results go to stdout, everything else to stderr; errors are raised and worded by who finds them.
"""
