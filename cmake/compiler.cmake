# Warnings, hardening and sanitizers, in one interface target that every module links.
add_library(entrepot_options INTERFACE)
target_include_directories(entrepot_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(entrepot_options INTERFACE _GLIBCXX_ASSERTIONS ENTREPOT_VERSION="${PROJECT_VERSION}")
target_compile_options(entrepot_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wformat=2 -Wimplicit-fallthrough -fno-omit-frame-pointer
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT ENTREPOT_SANITIZE)
  # With sanitizers g++ 12 reports null dereferences in code that the sanitizer itself inserted.
  target_compile_options(entrepot_options INTERFACE -Wnull-dereference)
endif()
if(ENTREPOT_WERROR)
  target_compile_options(entrepot_options INTERFACE -Werror)
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT ENTREPOT_SANITIZE)
  target_compile_options(entrepot_options INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
    -fcf-protection=full -fno-strict-overflow)
  target_link_options(entrepot_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)
endif()
if(ENTREPOT_SANITIZE)
  target_compile_options(entrepot_options INTERFACE
    -fsanitize=${ENTREPOT_SANITIZE} -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The same for uninitialised variables: g++ 12 sees them in the standard library's headers.
    target_compile_options(entrepot_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_compile_definitions(entrepot_options INTERFACE ENTREPOT_SANITIZED)
  target_link_options(entrepot_options INTERFACE -fsanitize=${ENTREPOT_SANITIZE})
endif()
