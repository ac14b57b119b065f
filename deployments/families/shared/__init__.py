"""Steps that several families take: letterbox, NMS, anchor-free decoding. Knows no checkpoint format."""
