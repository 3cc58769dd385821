"""Containers of an engine that speaks Docker's API, for labs and for runs.

where    which engine, from the profile, the environment and the user's contexts
client   speaking with it, its failures in words
images   having an image, and what is in it
recipe   what a container is made of, from the settings
archive  files into a container and out of it
labs     the server half of a target        lab_start  its start, step by step
runs     the run half
log      a container's output               shell      a shell in one, for a person
"""
