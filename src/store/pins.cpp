#include "store/pins.hpp"

#include <array>

namespace coffer::store {

namespace {

constexpr std::array<std::string_view, 1> kSchema = {
    "CREATE TABLE pins (name TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;",
};

}  // namespace

Result<void> Pins::migrate(Database& database) {
    return database.migrate("pins", kSchema);
}

Result<void> Pins::put(const Pin& pin) {
    TRY(database_->run("INSERT OR REPLACE INTO pins (name, digest) VALUES (?, ?)",
                       {pin.name, pin.digest}));
    return {};
}

Result<void> Pins::remove(std::string_view name) {
    if (TRY(database_->run("DELETE FROM pins WHERE name = ?", {name})) == 0)
        return fail(Code::NotFound, "{} is not pinned", name);
    return {};
}

Result<std::optional<std::string>> Pins::find(std::string_view name) const {
    const auto row = TRY(database_->first("SELECT digest FROM pins WHERE name = ?", {name}));
    return row ? std::optional(row->text(0)) : std::nullopt;
}

Result<std::vector<Pin>> Pins::list() const {
    std::vector<Pin> pins;
    for (const Row& row : TRY(database_->query("SELECT name, digest FROM pins ORDER BY name")))
        pins.push_back({row.text(0), row.text(1)});
    return pins;
}

}  // namespace coffer::store
