# Writes OUT, the source of engine/build_info.hpp, for the commit that is checked out in SOURCE_DIR.
# Both texts are empty where there is no git.
foreach(field "commit;describe;--always;--dirty;--abbrev=7;--match=" "time;show;-s;--format=%cd;--date=format-local:%Y-%m-%dT%H:%M:%SZ")
  list(POP_FRONT field name)
  execute_process(COMMAND ${CMAKE_COMMAND} -E env TZ=UTC git ${field} WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE ${name}
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(${name} "")
  endif()
endforeach()
file(CONFIGURE OUTPUT ${OUT} CONTENT [[#include "engine/build_info.hpp"

namespace coffer::engine {

const std::string_view kGitCommit = "@commit@";
const std::string_view kCommitTime = "@time@";

}  // namespace coffer::engine
]] @ONLY)
