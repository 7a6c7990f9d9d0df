#pragma once
// The progress of a pull or load as docker shows it: bars that are redrawn on a terminal, plain
// lines elsewhere. One thread.

#include <map>

#include "cli/api_client.hpp"

namespace coffer::cli {

class ProgressDisplay {
  public:
    // `columns` 0: no terminal.
    explicit ProgressDisplay(std::size_t columns) : columns_(columns) {}
    // What to print for one message. An error message of the stream is an error.
    Result<std::string> show(const json::Value& message);

  private:
    std::string line_of(const json::Value& message) const;
    bool on_terminal() const { return columns_ != 0; }

    std::size_t columns_;
    std::map<std::string, std::size_t> lines_;
};
// "[=====>     ]  1.2MB/3MB": for a terminal of `columns`.
std::string progress_bar(const json::Value& detail, std::size_t columns);

enum class Show { Progress, Nothing };
// Shows the whole stream on `fd`.
Result<void> show_progress(http::Response& response, int fd, Show show);

}  // namespace coffer::cli
