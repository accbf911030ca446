//! Segments and finished checksums against a plain segmenter, and against etherparse.
