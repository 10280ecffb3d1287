"""Audio while it flows: the media clock, legs, tracks, recorder, gate, listening, conference, detectors.

One 20 ms clock drives all legs; whoever wants a leg's audio reads its `Track`, nobody stands in its way.
May import `voice.rtp`, `voice.sdp` (what was agreed), `voice.clock` and `voice.errors`; never `voice.sip` or the store.
"""
