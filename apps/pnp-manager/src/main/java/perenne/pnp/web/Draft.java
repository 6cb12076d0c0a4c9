package perenne.pnp.web;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpSession;
import java.io.Serializable;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.Optional;
import java.util.UUID;
import perenne.pnp.model.Level;
import perenne.pnp.model.Person;
import perenne.pnp.model.Preferences;

/**
 * An edit in progress. It lives in the session, which WildFly replicates to another node. It is immutable: each change is a new
 * draft that is put into the session anew, since that is what marks the session as changed.
 *
 * @param person id of the person, also of one that is not stored yet, so that saving twice makes one person
 * @param base version of the person that is edited; 0 for a new one
 * @param step where the person who edits has got to
 */
public record Draft(UUID person, String name, Preferences preferences, long base, Instant startedAt, Step step)
        implements Serializable {

    private static final String ATTRIBUTE = "draft";

    /** The pages of the editor, in order. */
    public enum Step {
        PRESENTATION,
        CONTROL,
        CONTENT,
        REVIEW;

        /** The level that is edited; empty for the review. */
        public Optional<Level> level() {
            return this == REVIEW ? Optional.empty() : Optional.of(Level.valueOf(name()));
        }

        public String label() {
            return level().map(Level::label).orElse("Review and save");
        }

        /** The step's name in addresses. */
        public String key() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** From 1. */
        public int number() {
            return ordinal() + 1;
        }

        public Step next() {
            return values()[Math.min(ordinal() + 1, values().length - 1)];
        }

        public Step previous() {
            return values()[Math.max(ordinal() - 1, 0)];
        }

        public static Optional<Step> find(String key) {
            for (Step step : values()) {
                if (step.key().equals(key)) {
                    return Optional.of(step);
                }
            }
            return Optional.empty();
        }
    }

    /** The first draft for somebody who is not stored yet. */
    public static Draft of(String name) {
        return new Draft(UUID.randomUUID(), name, Preferences.NONE, 0, now(), Step.PRESENTATION);
    }

    /** The first draft of a change to a stored person. */
    public static Draft of(Person person) {
        return new Draft(person.id(), person.name(), person.preferences(), person.version(), now(), Step.PRESENTATION);
    }

    /** The draft that a session holds. */
    public static Optional<Draft> of(HttpSession session) {
        return Optional.ofNullable((Draft) session.getAttribute(ATTRIBUTE));
    }

    /** The draft of the client that sent a request; makes no session. */
    public static Optional<Draft> of(HttpServletRequest request) {
        return Optional.ofNullable(request.getSession(false)).flatMap(Draft::of);
    }

    public static void drop(HttpSession session) {
        session.removeAttribute(ATTRIBUTE);
    }

    public void keep(HttpSession session) {
        session.setAttribute(ATTRIBUTE, this);
    }

    public boolean isNew() {
        return base == 0;
    }

    public Draft with(Preferences changed) {
        return new Draft(person, name, changed, base, startedAt, step);
    }

    public Draft at(Step reached) {
        return new Draft(person, name, preferences, base, startedAt, reached);
    }

    public Draft named(String changed) {
        return new Draft(person, changed, preferences, base, startedAt, step);
    }

    /** The same wishes on top of what is stored now: saving overwrites what somebody else saved meanwhile. */
    public Draft basedOn(long version) {
        return new Draft(person, name, preferences, version, startedAt, step);
    }

    private static Instant now() {
        return Instant.now().truncatedTo(ChronoUnit.SECONDS);
    }
}
