"""The recipe of the turn sets (`tests/turns`): scenes of speech with exact times. See its README."""
