package perenne.pnp.store;

import jakarta.enterprise.context.ApplicationScoped;
import jakarta.inject.Inject;
import jakarta.json.Json;
import jakarta.json.JsonReader;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preferences;
import perenne.pnp.model.PreferencesJson;

/** The people and their preferences. */
@ApplicationScoped
public class People {

    private static final String COLUMNS = "id, name, preferences, version, created_at, updated_at";

    @Inject
    private Database database;

    /**
     * A part of the list.
     *
     * @param number from 1
     * @param total people that match, on all pages
     */
    public record Page(List<Person> people, int number, int size, long total) {

        public int last() {
            return (int) Math.max(1, (total + size - 1) / size);
        }
    }

    /** Somebody else changed the person since it was read. */
    public static class StaleVersion extends RuntimeException {

        private static final long serialVersionUID = 1;

        private final long current;

        StaleVersion(long current) {
            super("the person has version %d now".formatted(current));
            this.current = current;
        }

        /** The version that is stored. */
        public long current() {
            return current;
        }
    }

    /**
     * People whose name contains a text, by name.
     *
     * @param text any case; empty for everyone
     * @param number the page, from 1
     */
    public Page list(String text, int number, int size) {
        return database.run((connection, again) -> {
            String where = " FROM person WHERE position(lower(?) IN lower(name)) > 0";
            long total;
            try (PreparedStatement count = connection.prepareStatement("SELECT count(*)" + where)) {
                count.setString(1, text);
                try (ResultSet rows = count.executeQuery()) {
                    rows.next();
                    total = rows.getLong(1);
                }
            }
            try (PreparedStatement select = connection.prepareStatement(
                    "SELECT " + COLUMNS + where + " ORDER BY lower(name), id LIMIT ? OFFSET ?")) {
                select.setString(1, text);
                select.setInt(2, size);
                select.setLong(3, (number - 1L) * size);
                List<Person> people = new ArrayList<>();
                try (ResultSet rows = select.executeQuery()) {
                    while (rows.next()) {
                        people.add(person(rows));
                    }
                }
                return new Page(people, number, size, total);
            }
        });
    }

    public Optional<Person> find(UUID id) {
        return database.run((connection, again) -> select(connection, id));
    }

    /** Stores a new person under an id that the caller made, so that doing it twice makes one person. */
    public Person create(UUID id, String name, Preferences preferences) {
        return database.run((connection, again) -> {
            try (PreparedStatement insert = connection.prepareStatement(
                    "INSERT INTO person (id, name, preferences) VALUES (?, ?, ?::jsonb) ON CONFLICT (id) DO NOTHING")) {
                insert.setObject(1, id);
                insert.setString(2, name);
                insert.setString(3, PreferencesJson.sparse(preferences).toString());
                insert.executeUpdate();
            }
            return select(connection, id).orElseThrow(() -> new SQLException("deleted while it was made", "40001"));
        });
    }

    /**
     * Changes a person.
     *
     * @param expected the version that the change is based on
     * @return the person as stored; empty when there is none
     * @throws StaleVersion when the stored version is another
     */
    public Optional<Person> update(UUID id, long expected, String name, Preferences preferences) {
        return database.run((connection, again) -> {
            try (PreparedStatement update = connection.prepareStatement(
                    "UPDATE person SET name = ?, preferences = ?::jsonb, version = version + 1, updated_at = now()"
                            + " WHERE id = ? AND version = ?")) {
                update.setString(1, name);
                update.setString(2, PreferencesJson.sparse(preferences).toString());
                update.setObject(3, id);
                update.setLong(4, expected);
                boolean changed = update.executeUpdate() == 1;
                Optional<Person> stored = select(connection, id);
                if (changed || stored.isEmpty()) {
                    return stored;
                }
                // The very change was made already, when it was sent or tried before: RFC 9110, section 13.1.1, lets it pass.
                if (stored.get().version() == expected + 1 && stored.get().holds(name, preferences)) {
                    return stored;
                }
                throw new StaleVersion(stored.get().version());
            }
        });
    }

    /**
     * Deletes a person.
     *
     * @param expected the version that must be stored, or null for any
     * @return false when there was none
     * @throws StaleVersion when the stored version is another
     */
    public boolean delete(UUID id, Long expected) {
        return database.run((connection, again) -> {
            Optional<Person> stored = select(connection, id);
            if (expected != null && stored.isPresent() && stored.get().version() != expected) {
                throw new StaleVersion(stored.get().version());
            }
            try (PreparedStatement delete = connection.prepareStatement("DELETE FROM person WHERE id = ? AND version = ?")) {
                delete.setObject(1, id);
                delete.setLong(2, stored.map(Person::version).orElse(0L));
                // A first try may have deleted it before its connection broke.
                boolean deleted = delete.executeUpdate() == 1;
                if (stored.isPresent() && !deleted) {
                    throw new SQLException("changed while it was deleted", "40001");
                }
                return deleted || again;
            }
        });
    }

    private static Optional<Person> select(Connection connection, UUID id) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("SELECT " + COLUMNS + " FROM person WHERE id = ?")) {
            select.setObject(1, id);
            try (ResultSet rows = select.executeQuery()) {
                return rows.next() ? Optional.of(person(rows)) : Optional.empty();
            }
        }
    }

    private static Person person(ResultSet row) throws SQLException {
        try (JsonReader json = Json.createReader(new StringReader(row.getString("preferences")))) {
            return new Person(
                    row.getObject("id", UUID.class),
                    row.getString("name"),
                    PreferencesJson.stored(json.readObject()),
                    row.getLong("version"),
                    row.getObject("created_at", OffsetDateTime.class).toInstant(),
                    row.getObject("updated_at", OffsetDateTime.class).toInstant());
        }
    }
}
