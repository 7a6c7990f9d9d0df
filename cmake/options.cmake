# Compiler and linker flags of the whole tree.
add_library(coffer_options INTERFACE)
target_compile_options(coffer_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -Wno-missing-field-initializers -Werror)
target_compile_definitions(coffer_options INTERFACE
  _GNU_SOURCE _FILE_OFFSET_BITS=64 COFFER_VERSION="${PROJECT_VERSION}")
target_include_directories(coffer_options INTERFACE ${CMAKE_SOURCE_DIR}/src)

find_program(MOLD mold)
if(MOLD)
  target_link_options(coffer_options INTERFACE -fuse-ld=mold)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Same objects for every checkout, wherever it lies.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(coffer_options INTERFACE -O0 -g1)
  target_compile_definitions(coffer_options INTERFACE _GLIBCXX_ASSERTIONS)
else()
  target_compile_options(coffer_options INTERFACE
    -O2 -g1 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fcf-protection
    -ffunction-sections -fdata-sections)
  target_link_options(coffer_options INTERFACE -Wl,-z,relro,-z,now -Wl,--gc-sections)
endif()

if(COFFER_SANITIZE)
  target_compile_options(coffer_options INTERFACE
    -fsanitize=${COFFER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(coffer_options INTERFACE -fsanitize=${COFFER_SANITIZE})
endif()

if(COFFER_FUZZ)
  target_compile_options(coffer_options INTERFACE -fsanitize=fuzzer-no-link -O1)
endif()
