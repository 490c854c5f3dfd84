"""A server that stands in for a teacher: for tests, and for anybody's dry runs.

It speaks HTTP as OpenAI's server does, follows the JSON schema that it is sent, and misbehaves as
often as it is told to. ``filling`` makes values for schemas, ``behaviour`` decides what becomes of
a request, ``batches`` are the batch API, and ``server`` runs it all.
"""
