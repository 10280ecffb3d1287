"""What all tests share."""

from hypothesis import settings

# A deadline would measure how busy the machine is.
settings.register_profile("earshot", deadline=None)
settings.load_profile("earshot")
