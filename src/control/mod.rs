//! Who may: the registry of resources, configuration files, compilation of both into a mirror
//! table. Slow; may lock and allocate.
