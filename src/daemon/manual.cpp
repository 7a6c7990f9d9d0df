// --help and the manual page of cofferd, from its table of options.
#include "command/manual.hpp"
#include "daemon/config.hpp"

namespace coffer::daemon {

namespace {

constexpr std::size_t kColumns = 100;

constexpr std::string_view kFiles =
    ".SH FILES\n"
    ".TP\n.I /etc/coffer/daemon.json\n"
    "The configuration file: an object whose members are flags. Those of a switch are true or "
    "false, those of a flag that may be repeated are lists. A value is given in one of the two "
    "places.\n"
    ".TP\n.I /var/lib/coffer\nImages, volumes and containers.\n"
    ".TP\n.I /run/coffer.sock\nThe socket that\n.BR coffer (1)\nand other clients speak to.\n"
    ".SH SEE ALSO\n.BR coffer (1),\n.BR coffer\\-oci (1)\n";

// How a member of the file is called, where that is not the flag.
std::string keys_text(const std::vector<OptionText>& options) {
    std::string text = ".SH CONFIGURATION FILE\nA member has the name of its flag, but for\n";
    std::vector<std::string> flags_only;
    for (const OptionText& option : options) {
        if (option.key.empty())
            flags_only.push_back(command::roff(format("--{}", option.flag.name)));
        else if (option.key != option.flag.name)
            text += format(".TP\n\\fB{}\\fR\n{}\n", command::roff(option.key),
                           command::roff(format("--{}", option.flag.name)));
    }
    return text + ".PP\nOnly on the command line: " + join(flags_only, ", ") +
           ". Proxies are an object \\fBproxies\\fR with the members \\fBhttp\\-proxy\\fR, "
           "\\fBhttps\\-proxy\\fR and \\fBno\\-proxy\\fR.\n";
}

std::vector<command::Flag> flags_of(const std::vector<OptionText>& options) {
    std::vector<command::Flag> flags;
    flags.reserve(options.size());
    for (const OptionText& option : options) flags.push_back(option.flag);
    return flags;
}

command::Command command_of(std::span<const command::Flag> flags) {
    command::Command command;
    command.name = "cofferd";
    command.arguments = "[OPTIONS]";
    command.summary = "The Coffer container engine";
    command.flags.own = flags;
    command.manual_section = 8;
    return command;
}

}  // namespace

std::string help_text() {
    const auto flags = flags_of(option_texts());
    return command::help_text(command_of(flags), "cofferd", kColumns);
}

std::string manual_text() {
    const auto options = option_texts();
    const auto flags = flags_of(options);
    return command::manual_page(command_of(flags), "cofferd") + keys_text(options) +
           std::string(kFiles);
}

}  // namespace coffer::daemon
