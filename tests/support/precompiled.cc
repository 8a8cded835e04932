// The headers of entrepot_test_headers (tests/CMakeLists.txt) are compiled once, for this file, and used by
// every unit test.
