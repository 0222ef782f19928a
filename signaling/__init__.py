"""Every way that live audio comes in: for now WebRTC, by WHIP and by the SmallWebRTC dialect."""
