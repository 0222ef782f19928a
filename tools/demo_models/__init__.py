"""The recipe of the bundled demo models: synthetic speech in, CTranslate2 model folders out.

Run ``python -m tools.demo_models --help`` from the repository root; ``README.md`` beside this file
tells the story.
"""
