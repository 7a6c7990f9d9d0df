#pragma once
// The verbs of coffer-files, locked up in a View. Standard input and output are what the protocol
// says; the socket is descriptor 3. For a process with one thread.

#include "files/view.hpp"

namespace coffer::files {

// Sends the first answer and does it.
Result<void> serve(const Request& request, const View& view);

Result<void> send(const Answer& answer);

// changes.cpp: what the writable layer changes in those below it.
Result<void> write_changes(const Request& request, const View& view);
Result<void> write_layer(const Request& request, const View& view);
// compare.cpp: what an image has otherwise than another one.
Result<void> write_comparison(const View& view);

}  // namespace coffer::files
