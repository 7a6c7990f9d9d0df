#pragma once
// A table that is drawn again every second until the user leaves: q, Ctrl-C or a signal. One
// thread.

#include <chrono>
#include <string>

#include "cli/terminal.hpp"

namespace coffer::cli {

constexpr std::chrono::milliseconds kLivePeriod(1000);

class LiveView {
  public:
    // Whole: the terminal's second screen, with keys as they are typed, until destruction.
    enum class Screen : std::uint8_t { Whole, AsItIs };
    static Result<LiveView> begin(Screen screen);
    ~LiveView();
    LiveView(LiveView&& other) noexcept;
    LiveView& operator=(LiveView&&) = delete;
    LiveView(const LiveView&) = delete;
    LiveView& operator=(const LiveView&) = delete;

    // Lines of cells apart by tabs, as far as the window has room.
    Result<void> draw(const std::string& table) const;
    // False when the user wants to leave.
    bool wait_for_next() const;

  private:
    explicit LiveView(CaughtSignals signals) : signals_(std::move(signals)) {}

    CaughtSignals signals_;
    RawTerminal raw_;
    bool whole_ = false;
};

}  // namespace coffer::cli
