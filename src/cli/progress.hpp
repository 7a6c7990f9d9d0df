#pragma once
// The progress of a pull or load as docker shows it: bars that are redrawn on a terminal, plain
// lines elsewhere. One thread.

#include <chrono>
#include <functional>
#include <map>

#include "cli/api_client.hpp"

namespace coffer::cli {

class ProgressDisplay {
  public:
    // `columns` 0: no terminal.
    explicit ProgressDisplay(std::size_t columns) : columns_(columns) {}
    void resize(std::size_t columns) { columns_ = columns; }
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
// Shows the whole stream on `fd`; what it has for programs goes to `on_aux`.
using OnAux = std::function<void(const json::Value& aux)>;
Result<void> show_progress(http::Response& response, int fd, Show show, const OnAux& on_aux = {});

// How much has come of what nobody knows the size of, in one line of a terminal that is gone at the
// end; nothing elsewhere.
class ByteCounter {
  public:
    // `fd` is borrowed; "Saving" and the like stands before the number.
    ByteCounter(int fd, std::string what);
    ~ByteCounter();
    ByteCounter(const ByteCounter&) = delete;
    ByteCounter& operator=(const ByteCounter&) = delete;
    ByteCounter(ByteCounter&&) = delete;
    ByteCounter& operator=(ByteCounter&&) = delete;
    void add(std::size_t bytes);

  private:
    int fd_;  // -1: no terminal
    std::string what_;
    std::uint64_t bytes_ = 0;
    std::chrono::steady_clock::time_point shown_{};
};

}  // namespace coffer::cli
