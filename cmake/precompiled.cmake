# Half of a build is the parsing of standard headers: each kind of target reads them from one precompiled header. The sources
# include what they use all the same: the preset `clang` builds without it (`tools/soak whole-clang`; the probe).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(ENTREPOT_PRECOMPILES ON)
endif()
option(ENTREPOT_PRECOMPILES "Precompile the standard headers" OFF)

set(ENTREPOT_COMMON_HEADERS
  <algorithm> <array> <atomic> <chrono> <coroutine> <cstdint> <cstdio> <cstring> <deque> <functional> <list> <map> <memory>
  <mutex> <optional> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <fmt/format.h> <tl/expected.hpp>)

# entrepot_precompile(target...): targets of the program, which all have the options of entrepot_base.
function(entrepot_precompile)
  if(ENTREPOT_PRECOMPILES)
    foreach(target ${ARGN})
      target_precompile_headers(${target} REUSE_FROM entrepot_base)
    endforeach()
  endif()
endfunction()
