"""`make bench`: what contentq reaches, beside what PostgreSQL itself reaches in the same run."""
