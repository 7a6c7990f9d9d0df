#include "engine/logging.hpp"

#include <unistd.h>

#include <array>

#include "engine/containers.hpp"

namespace coffer::engine {

namespace {

std::string host_name() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

logs::Subject subject_of(const Record& record) {
    logs::Subject subject;
    logs::Origin& origin = subject.origin;
    origin.container_id = record.id;
    origin.container_name = record.name;
    origin.image_id = record.image_id;
    origin.image_name = record.config.image;
    origin.command = record.path;
    for (const std::string& argument : record.args) origin.command += " " + argument;
    origin.created = record.created;
    origin.hostname = host_name();
    subject.labels = record.config.labels;
    subject.env = record.config.env;
    return subject;
}

bool is_local_driver(const std::string& driver) {
    return driver == "json-file" || driver == "local" || driver == "none";
}

}  // namespace

Result<void> settle_log_config(const Settings& settings, const Caller& caller,
                               api::LogConfig& config) {
    if (config.type.empty()) config.type = settings.log_driver;
    if (caller.uid != 0 && !is_local_driver(config.type) &&
        (config.type != settings.log_driver || !config.config.empty())) {
        return fail(Code::Forbidden,
                    "log driver {} sends from the host and needs root: user {} may not use it",
                    config.type, caller.uid);
    }
    if (config.type == settings.log_driver) {
        config.config.insert(settings.log_options.begin(), settings.log_options.end());
    }
    return logs::check_options(config.type, config.config);
}

Result<logs::Setup> log_setup(const Settings& settings, const Record& record,
                              const std::string& folder) {
    const api::LogConfig& config = record.host_config.log_config;
    return logs::make_setup(config.type, config.config, subject_of(record), folder,
                            settings.log_program);
}

Result<logs::Place> log_place(const Record& record, const std::string& folder) {
    const api::LogConfig& config = record.host_config.log_config;
    auto place = logs::find_place(config.type, config.config, folder, record.id);
    if (place) return *std::move(place);
    return fail(Code::NotImplemented, "configured logging driver does not support reading");
}

logs::Attributes log_attributes(const Record& record) {
    const api::LogConfig& config = record.host_config.log_config;
    auto attributes = logs::find_attributes(config.config, subject_of(record));
    return attributes ? *std::move(attributes) : logs::Attributes();
}

}  // namespace coffer::engine
