"""A router's networks, guests and translations as a picture: facts, their layout, SVG and Mermaid."""
