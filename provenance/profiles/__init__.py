"""What a jurisdiction asks for beyond what every clip carries anyway; one file of data for each.

A profile can ask for more. There is no key that takes anything away, and a file with a key that is not known here is
refused: so no profile can switch a machine-readable mark off.
"""
