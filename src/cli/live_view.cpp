#include "cli/live_view.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/text.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

Result<LiveView> LiveView::begin(Screen screen) {
    LiveView view(TRY(CaughtSignals::start(CaughtSignals::Which::Ending)));
    if (screen == Screen::AsItIs) return view;
    if (is_terminal(STDIN_FILENO)) view.raw_ = TRY(RawTerminal::enter(STDIN_FILENO));
    TRY(print("\033[?1049h\033[?25l"));
    view.whole_ = true;
    return view;
}

LiveView::~LiveView() {
    if (whole_) ignore(print("\033[?25h\033[?1049l"), "the terminal may be gone");
}

LiveView::LiveView(LiveView&& other) noexcept
    : signals_(std::move(other.signals_)),
      raw_(std::move(other.raw_)),
      whole_(std::exchange(other.whole_, false)) {}

Result<void> LiveView::draw(const std::string& table) const {
    const WindowSize size = window_size(STDOUT_FILENO);
    std::string out = "\033[H";
    std::size_t left = size.rows > 1 ? size.rows - 1 : table.size();
    for (const std::string& line : split(align_columns(table), '\n')) {
        if (line.empty() || left-- == 0) break;
        out += ellipsis(line, size.columns == 0 ? line.size() : size.columns) + "\033[K\r\n";
    }
    return print(out + "\033[J");
}

bool LiveView::wait_for_next() const {
    const bool with_keys = whole_ && is_terminal(STDIN_FILENO);
    const auto end = std::chrono::steady_clock::now() + kLivePeriod;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return true;
        std::array<pollfd, 2> ready = {
            {{signals_.fd(), POLLIN, 0}, {with_keys ? STDIN_FILENO : -1, POLLIN, 0}}};
        if (::poll(ready.data(), ready.size(), static_cast<int>(left.count())) <= 0) continue;
        if (ready[0].revents != 0) {
            const int number = signals_.take();
            if (number == SIGWINCH) return true;
            if (number != 0) return false;
        }
        if (ready[1].revents != 0) {
            char key = 0;
            constexpr char kInterrupt = 3;
            constexpr char kQuit = 4;
            if (::read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == kInterrupt ||
                key == kQuit) {
                return false;
            }
        }
    }
}

}  // namespace coffer::cli
