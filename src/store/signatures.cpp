#include "store/signatures.hpp"

#include <algorithm>
#include <array>

namespace coffer::store {

namespace {

// A digest is an image's when it is a blob of it or what one of its names stands for; or it is that
// of a kept manifest, of an artifact.
constexpr std::array<std::string_view, 2> kSchema = {
    R"sql(
CREATE TABLE signatures (
    digest TEXT NOT NULL,
    position INTEGER NOT NULL,
    payload TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (digest, position)
) WITHOUT ROWID;
CREATE TRIGGER signatures_of_blob AFTER DELETE ON image_blobs BEGIN
    DELETE FROM signatures WHERE digest = OLD.digest
        AND digest NOT IN (SELECT digest FROM image_blobs)
        AND digest NOT IN (SELECT target FROM image_references WHERE target IS NOT NULL);
END;
CREATE TRIGGER signatures_of_name AFTER DELETE ON image_references BEGIN
    DELETE FROM signatures WHERE digest = OLD.target
        AND digest NOT IN (SELECT digest FROM image_blobs)
        AND digest NOT IN (SELECT target FROM image_references WHERE target IS NOT NULL);
END;
)sql",
    R"sql(
DROP TRIGGER signatures_of_blob;
DROP TRIGGER signatures_of_name;
CREATE TRIGGER signatures_of_blob AFTER DELETE ON image_blobs BEGIN
    DELETE FROM signatures WHERE digest = OLD.digest
        AND digest NOT IN (SELECT digest FROM image_blobs)
        AND digest NOT IN (SELECT target FROM image_references WHERE target IS NOT NULL)
        AND digest NOT IN (SELECT digest FROM manifests);
END;
CREATE TRIGGER signatures_of_name AFTER DELETE ON image_references BEGIN
    DELETE FROM signatures WHERE digest = OLD.target
        AND digest NOT IN (SELECT digest FROM image_blobs)
        AND digest NOT IN (SELECT target FROM image_references WHERE target IS NOT NULL)
        AND digest NOT IN (SELECT digest FROM manifests);
END;
CREATE TRIGGER signatures_of_manifest AFTER DELETE ON manifests BEGIN
    DELETE FROM signatures WHERE digest = OLD.digest
        AND digest NOT IN (SELECT digest FROM image_blobs)
        AND digest NOT IN (SELECT target FROM image_references WHERE target IS NOT NULL)
        AND digest NOT IN (SELECT digest FROM manifests);
END;
)sql",
};

}  // namespace

Result<void> Signatures::migrate(Database& database) {
    return database.migrate("signatures", kSchema);
}

Result<void> Signatures::put(std::string_view digest,
                             const std::vector<KeptSignature>& signatures) {
    Transaction tx = TRY(database_->begin());
    std::vector<KeptSignature> all = signatures;
    for (const Row& row : TRY(tx.query("SELECT payload, signature FROM signatures "
                                       "WHERE digest = ? ORDER BY position",
                                       {digest}))) {
        KeptSignature one{row.text(0), row.text(1)};
        if (all.size() < kMost && std::find(all.begin(), all.end(), one) == all.end())
            all.push_back(std::move(one));
    }
    TRY(tx.run("DELETE FROM signatures WHERE digest = ?", {digest}));
    int position = 0;
    for (const KeptSignature& one : all) {
        TRY(
            tx.run("INSERT INTO signatures (digest, position, payload, signature) "
                   "VALUES (?, ?, ?, ?)",
                   {digest, position++, one.payload, one.signature}));
    }
    return tx.commit();
}

Result<std::vector<KeptSignature>> Signatures::get(std::string_view digest) const {
    std::vector<KeptSignature> found;
    for (const Row& row :
         TRY(database_->query("SELECT payload, signature FROM signatures WHERE digest = ? "
                              "ORDER BY position",
                              {digest})))
        found.push_back({row.text(0), row.text(1)});
    return found;
}

}  // namespace coffer::store
