package perenne.pnp.model;

import java.util.List;
import java.util.stream.Collectors;

/** What somebody sent can't be kept; says every reason at once. */
public class InvalidInput extends RuntimeException {

    private static final long serialVersionUID = 1;

    private final transient List<Violation> violations;

    public InvalidInput(List<Violation> violations) {
        super(violations.stream().map(v -> v.field() + " " + v.detail()).collect(Collectors.joining("; ")));
        this.violations = List.copyOf(violations);
    }

    public List<Violation> violations() {
        return violations;
    }
}
